/** What a token's holder is. `admin` passes scope checks inside its own tenant only. */
export const TOKEN_ROLES = ['admin', 'client', 'node'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

/** What a connection says it is in `connect.init`. */
export const PEER_ROLES = ['client', 'node'] as const;
export type PeerRole = (typeof PEER_ROLES)[number];

export const OPERATOR_SCOPES = [
  'operator.read',
  'operator.write',
  'operator.approvals',
  'operator.pairing',
  'operator.admin',
] as const;
export type OperatorScope = (typeof OPERATOR_SCOPES)[number];
