import type { TokenRecord } from '@tyrum/identity';
import type { TokenCreated, TokenView } from '@tyrum/protocol';

/** A token as lists show it. */
export function tokenView(record: TokenRecord): TokenView {
  return {
    token_id: record.token_id,
    role: record.role,
    scopes: record.scopes,
    ...(record.label === null ? {} : { label: record.label }),
    ...(record.device_id === null ? {} : { device_id: record.device_id }),
    ...(record.subject === null ? {} : { subject: record.subject }),
    created_at: new Date(record.created_at).toISOString(),
    expires_at: record.expires_at === null ? null : new Date(record.expires_at).toISOString(),
    revoked_at: record.revoked_at === null ? null : new Date(record.revoked_at).toISOString(),
  };
}

/** The one time a token is shown. */
export function tokenCreated({ token, record }: { token: string; record: TokenRecord }): TokenCreated {
  const { revoked_at: _, ...shown } = tokenView(record);
  return { ...shown, token };
}
