/** A Map that keeps the entries that were used last. */
export class Recent<Value> {
  private readonly entries = new Map<string, Value>();

  constructor(private readonly most: number) {}

  /** The value of a key, made if it is not there. */
  get(key: string, make: () => Value): Value {
    const value = this.entries.has(key) ? (this.entries.get(key) as Value) : make();
    this.delete(key);
    this.entries.set(key, value);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.most) break;
      this.entries.delete(oldest);
    }
    return value;
  }

  delete(key: string): void {
    this.entries.delete(key);
  }
}
