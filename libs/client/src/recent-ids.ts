/** The last `capacity` ids, the oldest forgotten first: how events delivered twice are told from new ones. */
export class RecentIds {
  private readonly ids = new Set<string>();

  constructor(private readonly capacity: number) {
    if (capacity < 1) throw new RangeError('a set of recent ids needs room for at least one');
  }

  /** Whether `id` was not among them; from now on it is. */
  add(id: string): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    if (this.ids.size > this.capacity) {
      // A Set iterates in the order of insertion, so its first is the oldest.
      for (const oldest of this.ids) {
        this.ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}
