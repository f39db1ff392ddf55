import { describeOnBothDialects, type TestStores } from '@tyrum/statestore/testing';
import { TokenStore } from '../token-store';
import { LoginRefusedError } from './oidc-client';
import { OidcLogins } from './oidc-logins';

const RULES = [{ group: 'ops', tenant: 'default', role: 'admin', scopes: [] }] as const;
const CHALLENGE = { state: 's', nonce: 'n', verifier: 'v' };

describeOnBothDialects('log-ins', (stores: () => TestStores) => {
  it('make one session of an attempt, even if a provider took its code twice', async () => {
    const store = await stores().open();
    const tokens = new TokenStore(store);
    const client = {
      begin: () => Promise.resolve({ url: 'https://login.example/', challenge: CHALLENGE }),
      finish: () => Promise.resolve({ subject: 'https://login.example alice', groups: ['ops'] }),
    };
    const logins = new OidcLogins({ store, tokens, client }, RULES, { sessionMs: 60_000 });
    const { attempt } = await logins.begin();
    const ends = await Promise.allSettled(Array.from({ length: 5 }, () => logins.finish('', attempt)));
    const made = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
    expect(made).toHaveLength(1);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(LoginRefusedError);
    expect(await tokens.verify(made[0]?.token ?? '')).toMatchObject({ role: 'admin', isSession: true });
    const late = new TokenStore(store, { nowMs: () => Date.now() + 60_001 });
    expect(await late.verify(made[0]?.token ?? '')).toBeUndefined();
  });
});
