/**
 * A row of the outbox holds some events of one commit (decision 0022). The columns of the one event that a row held stay for one
 * release: processes of the version before may still write them, and are read. An edge of that version cannot read what the new
 * ones write. The empty payload, which is no JSON, keeps it from passing over it: it stands still until it is replaced, and its
 * clients go on from their cursors.
 */
export const packedEventsPostgres: readonly string[] = [
  `alter table outbox add column events text,
    alter column event_id drop not null,
    alter column type drop not null,
    alter column scope_kind drop not null,
    alter column payload set default ''`,
  // A full row takes half a page: it is neither compressed nor moved out of line, as what is above 2 kB would be.
  `alter table outbox set (toast_tuple_target = 8160)`,
];
