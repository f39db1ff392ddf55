import type { Statement } from '@tyrum/statestore';

/** Puts every row before all transactions of this server, whose ids may be lower than those of the one it came from. Touches: outbox. */
export const renumberEvents: Statement = {
  name: 'renumber-events',
  postgres: `update outbox set xid = '0'::xid8`,
  sqlite: `update outbox set xid = 0`,
};

/** Positions of the epoch before mean nothing any more. Touches: outbox_cursor. */
export const forgetCursors: Statement = {
  name: 'forget-cursors',
  postgres: `delete from outbox_cursor`,
  sqlite: `delete from outbox_cursor`,
};

/** Makes every position handed out so far a foreign one. Touches: outbox_epoch. */
export const renewEpoch: Statement = {
  name: 'renew-epoch',
  postgres: `update outbox_epoch set epoch = replace(gen_random_uuid()::text, '-', '')`,
  sqlite: `update outbox_epoch set epoch = lower(hex(randomblob(16)))`,
};
