/** What the page keeps in the browser's private file system. */

/**
 * Removes the files for which `unwanted` says so, but none that a tab holds a lock of its name for. Where there is no
 * private file system there is nothing to remove.
 */
export async function removeFiles(unwanted: (name: string, file: FileSystemFileHandle) => Promise<boolean>): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const { held = [] } = await navigator.locks.query();
    for await (const [name, handle] of root.entries()) {
      if (handle.kind !== 'file' || held.some((lock) => lock.name === name)) continue;
      if (await unwanted(name, handle)) await root.removeEntry(name);
    }
  } catch {
    // No private file system, so nothing in it.
  }
}
