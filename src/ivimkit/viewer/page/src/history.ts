/** History: the states before the last changes, and those that were undone. */

export class History<State> {
  private readonly before: State[] = [];
  private after: State[] = [];

  constructor(
    /** How many states are kept. */
    private readonly most: (state: State) => number,
  ) {}

  get canUndo(): boolean {
    return this.before.length > 0;
  }

  get canRedo(): boolean {
    return this.after.length > 0;
  }

  /** Keep a state that is about to be changed; what was undone is gone. */
  remember(state: State): void {
    this.after = [];
    this.push(state);
  }

  /** The state before the last change; the present one can come back. */
  undo(now: State): State | undefined {
    const found = this.before.pop();
    if (found) this.after.push(now);
    return found;
  }

  redo(now: State): State | undefined {
    const found = this.after.pop();
    if (found) this.push(now);
    return found;
  }

  private push(state: State): void {
    this.before.push(state);
    while (this.before.length > this.most(state)) this.before.shift();
  }
}
