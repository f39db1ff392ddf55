import { NOW_MS, TableWalk, type StateStore, type Statement } from '@tyrum/statestore';

interface FoundToken {
  readonly token_id: string;
  readonly past: boolean | number;
}

const past = (now: string, age: string) => `
    (role <> 'admin' or subject is not null) and (expires_at < ${now} - ${age} or revoked_at < ${now} - ${age})`;

/** Tokens by id, and whether they are past. Parameters: token to go on after, age in ms, limit. Touches: auth_token. */
const findTokens: Statement = {
  name: 'find-dead-tokens',
  postgres: `select token_id, coalesce(${past(`(select ${NOW_MS.postgres})`, '$2::bigint')}, false) as past
    from auth_token where token_id > $1::uuid order by token_id limit $3`,
  sqlite: `select token_id, coalesce(${past(NOW_MS.sqlite, '?2')}, 0) as past
    from auth_token where token_id > ?1 order by token_id limit ?3`,
};

/** Deletes tokens that are still past. Takes a JSON list of ids and the age in ms. Touches: auth_token. */
const deleteTokens: Statement = {
  name: 'delete-dead-tokens',
  postgres: `delete from auth_token where token_id in (select value::uuid from json_array_elements_text($1::json))
    and ${past(`(select ${NOW_MS.postgres})`, '$2::bigint')} returning token_id`,
  sqlite: `delete from auth_token where token_id in (select value from jsonb_each(?1))
    and ${past(NOW_MS.sqlite, '?2')} returning token_id`,
};

/**
 * Tokens that expired or were revoked so long ago. Admin tokens that were issued are kept, also those: a revoked one is how the
 * next boot knows that it must not install the first token again.
 */
export function walkDeadTokens(store: StateStore, olderThanMs: number): TableWalk<FoundToken> {
  return new TableWalk<FoundToken>({
    find: async (after, limit) => {
      const from = after?.token_id ?? '00000000-0000-0000-0000-000000000000';
      const rows = await store.read((db) => db.query<FoundToken>(findTokens, [from, olderThanMs, limit]));
      return { rows, more: rows.length === limit };
    },
    remove: async (rows) => {
      const ids = JSON.stringify(rows.map(({ token_id }) => token_id));
      return { auth_token: (await store.execute(deleteTokens, [ids, olderThanMs])).length };
    },
  });
}
