import { SqliteStateStore } from '../sqlite-state-store';
import type { Statement } from '../state-store';

/*
 * One of several processes on one SQLite file: adds to a counter that all share and to one of its own, in transactions that
 * read first, and prints `{done, failed}` as JSON. Arguments: file, name, how many transactions.
 */

const sqlite = (text: string): Statement => ({ name: 'contend', postgres: '', sqlite: text });
const read = sqlite(`select id from outbox_cursor where consumer = ?1`);
const write = sqlite(`insert into outbox_cursor (consumer, xid, id, updated_at) values (?1, 0, ?2, 0)
  on conflict (consumer) do update set id = excluded.id`);
/** Transactions of one process under way at once. */
const AT_ONCE = 8;

async function contend([path = '', name = '', count = '0']: string[]): Promise<void> {
  const store = await SqliteStateStore.open({ path });
  const failed: string[] = [];
  let [left, done] = [Number(count), 0];
  const add = async () => {
    while (left-- > 0) {
      try {
        await store.transaction(async (tx) => {
          for (const counter of ['shared', name]) {
            const [row] = await tx.query<{ id: number }>(read, [counter]);
            await tx.query(write, [counter, (row?.id ?? 0) + 1]);
          }
        });
        done += 1;
      } catch (error) {
        failed.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, add));
  await store.close();
  process.stdout.write(JSON.stringify({ done, failed }));
}

void contend(process.argv.slice(2));
