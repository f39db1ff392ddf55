import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeOnBothDialects } from '@tyrum/statestore/testing';
import { describeSchema } from './describe-schema';
import { SCHEMA_FOLDER } from './schema-folder';

describeOnBothDialects('the schema', (stores) => {
  it('is the one that was reviewed: after a new migration, run `npm run schema:dump`', async () => {
    const reviewed = readFileSync(join(SCHEMA_FOLDER, `${stores().dialect}.sql`), 'utf8');
    expect(await describeSchema(await stores().open())).toBe(reviewed);
  });

  it('shows every kind of change', async () => {
    const store = await stores().open();
    const before = await describeSchema(store);
    for (const ddl of ['alter table tenant add column extra text', 'create index extra_index on tenant (extra)']) {
      await store.execute({ name: 'change', postgres: ddl, sqlite: ddl });
      expect(await describeSchema(store)).not.toBe(before);
    }
  });
});
