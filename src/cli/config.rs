//! Options from a file and from the environment: the same names as on the command line,
//! which goes before the environment, which goes before the file.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Lets every option of every subcommand be set by a variable: `--min-face` by `FRAMESIFT_MIN_FACE`.
pub fn with_environment(command: Command) -> Command {
    command.mut_subcommands(|subcommand| {
        subcommand.args_override_self(true).mut_args(|arg| match variable(&arg) {
            Some(name) => arg.env(name),
            None => arg,
        })
    })
}

fn variable(arg: &Arg) -> Option<String> {
    let long = arg.get_long().filter(|long| !["help", "version", "config"].contains(long))?;
    Some(format!("FRAMESIFT_{}", long.to_uppercase().replace('-', "_")))
}

/// The arguments, with what the configuration file says before the user's own, unless a variable
/// says otherwise.
pub fn with_file(command: &Command, arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let find = |(i, argument): (usize, &OsString)| Some((i, command.find_subcommand(argument)?));
    let Some((at, subcommand)) = arguments.iter().enumerate().skip(1).find_map(find) else { return Ok(arguments) };
    let Some((path, table)) = read(&arguments)? else { return Ok(arguments) };
    let known = |name: &str| command.get_subcommands().any(|subcommand| option(subcommand, name).is_some());
    if let Some(unknown) = table.keys().find(|name| !known(name)) {
        return Err(format!("{}: there is no option `{unknown}`", path.display()));
    }
    let mut all = arguments[..=at].to_vec();
    for (name, value) in &table {
        let Some(arg) = option(subcommand, name) else { continue };
        if variable(arg).is_some_and(|variable| std::env::var_os(variable).is_some()) {
            continue;
        }
        let several = matches!(arg.get_action(), ArgAction::Append);
        let said = |argument: &OsString| {
            let said = argument.to_str().and_then(|text| text.strip_prefix("--")?.strip_prefix(name.as_str()));
            said.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        // Of other options the last one counts, which is the user's own.
        if several && arguments[at + 1..].iter().any(said) {
            continue;
        }
        let values = match value {
            toml::Value::Array(values) if several => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            match value {
                toml::Value::Boolean(true) if !arg.get_action().takes_values() => all.push(format!("--{name}").into()),
                toml::Value::Boolean(false) if !arg.get_action().takes_values() => {}
                toml::Value::String(text) => all.push(format!("--{name}={text}").into()),
                toml::Value::Integer(number) => all.push(format!("--{name}={number}").into()),
                toml::Value::Float(number) => all.push(format!("--{name}={number}").into()),
                _ => return Err(format!("{}: `{name}` has a value of a kind that it does not take", path.display())),
            }
        }
    }
    all.extend_from_slice(&arguments[at + 1..]);
    Ok(all)
}

fn option<'a>(subcommand: &'a Command, name: &str) -> Option<&'a Arg> {
    subcommand.get_arguments().find(|arg| arg.get_long() == Some(name))
}

/// The file that is named, or the usual one if it is there.
fn read(arguments: &[OsString]) -> Result<Option<(PathBuf, toml::Table)>, String> {
    let named = arguments.iter().enumerate().find_map(|(i, argument)| match argument.to_str() {
        Some("--config") => arguments.get(i + 1).map(PathBuf::from),
        Some(argument) => argument.strip_prefix("--config=").map(PathBuf::from),
        None => None,
    });
    let named = named.or_else(|| std::env::var_os("FRAMESIFT_CONFIG").map(PathBuf::from));
    let Some(path) = named.or_else(|| usual().filter(|path| path.exists())) else { return Ok(None) };
    let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let table = text.parse().map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Some((path, table)))
}

fn usual() -> Option<PathBuf> {
    let home = || Some(Path::new(&std::env::var_os("HOME")?).join(".config"));
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(folder.join("framesift").join("config.toml"))
}
