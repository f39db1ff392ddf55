import type { Tx } from '@tyrum/statestore';
import type { TokenStore } from './token-store';

/** Issues and ends the tokens that nodes get when they are approved: bound to their device, without any scope. */
export function nodeTokens(tokens: TokenStore) {
  return {
    issueIn: async (tx: Tx, { tenantId, deviceId }: { readonly tenantId: string; readonly deviceId: string }) => {
      const { token, record } = await tokens.issueIn(tx, { tenantId, role: 'node', scopes: [], deviceId });
      return { tokenId: record.token_id, token };
    },
    revokeIn: async (tx: Tx, tenantId: string, tokenId: string): Promise<void> =>
      void (await tokens.revokeIn(tx, tenantId, tokenId)),
  };
}
