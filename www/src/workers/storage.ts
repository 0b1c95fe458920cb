/** What the page keeps in the browser's private file system. */

/**
 * Removes the files for which `unwanted` says so. Those that a tab holds a lock of their name for are passed over,
 * unless they are `ours`. Where there is no private file system there is nothing to remove.
 */
export async function removeFiles(unwanted: (name: string, file: FileSystemFileHandle) => Promise<boolean>, ours = false): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const { held = [] } = await navigator.locks.query();
    for await (const [name, handle] of root.entries()) {
      if (handle.kind !== 'file' || (!ours && held.some((lock) => lock.name === name))) continue;
      if (await unwanted(name, handle)) await root.removeEntry(name);
    }
  } catch {
    // No private file system, so nothing in it.
  }
}
