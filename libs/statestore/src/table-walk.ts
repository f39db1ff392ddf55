/** How many rows went, by table. */
export type Deleted = Readonly<Record<string, number>>;

/** What a walk does with one table. */
export interface WalkedTable<Row> {
  /** The rows behind `after` (from the beginning when absent), in an index's order, `limit` at the most. */
  find(after: Row | undefined, limit: number): Promise<{ readonly rows: readonly Row[]; readonly more: boolean }>;
  /** Removes rows that were found to be past their time, if they still are. */
  remove(rows: readonly Row[]): Promise<Deleted>;
}

/**
 * Goes through a table a batch at a time and removes what is past its time. Rows that have to stay are passed over once a
 * walk and not once a batch, so that a batch costs the same however many of them there are; where one sweep ends, the next
 * goes on.
 */
export class TableWalk<Row extends { readonly past: boolean | number }> {
  private place: Row | undefined;

  constructor(private readonly table: WalkedTable<Row>) {}

  /** Looks at up to `limit` rows. `more`: the walk has not come to its end. */
  async step(limit: number): Promise<{ readonly deleted: Deleted; readonly more: boolean }> {
    const { rows, more } = await this.table.find(this.place, limit);
    const past = rows.filter((row) => row.past);
    const deleted = past.length > 0 ? await this.table.remove(past) : {};
    this.place = more ? (rows.at(-1) ?? this.place) : undefined;
    return { deleted, more };
  }
}
