/** What can be taken back: states before each change, and after the changes that were taken back. */
export class History<T> {
  private past: T[] = [];
  private future: T[] = [];
  private open = false;

  /** Notes the state before a change. Changes until `close` count as one. */
  note(before: T): void {
    if (this.open) return;
    this.past.push(before);
    this.future = [];
  }

  /** The same for a change that goes on, such as the pulling of a slider. */
  begin(before: T): void {
    this.note(before);
    this.open = true;
  }

  close(): void {
    this.open = false;
  }

  undo(now: T): T | undefined {
    this.close();
    const before = this.past.pop();
    if (before !== undefined) this.future.push(now);
    return before;
  }

  redo(now: T): T | undefined {
    this.close();
    const after = this.future.pop();
    if (after !== undefined) this.past.push(now);
    return after;
  }

  clear(): void {
    this.past = [];
    this.future = [];
    this.close();
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }
}
