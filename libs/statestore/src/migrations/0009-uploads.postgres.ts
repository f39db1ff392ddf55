/** Who uploaded an artifact: it is theirs alone until it belongs to a turn. */
export const uploadsPostgres: readonly string[] = [`alter table artifact add column uploaded_by uuid`];
