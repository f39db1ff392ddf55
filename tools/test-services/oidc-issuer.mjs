/**
 * An OpenID provider in a process of its own: `oidc-provider`, in memory, whose users log in without being asked. Prints the URL it
 * listens at. `POST /test` sets who logs in next and what is wrong with the next ID tokens.
 *
 *   node oidc-issuer.mjs '{"clientId":"…","clientSecret":"…","redirectUri":"…","groupsIn":"id_token"|"userinfo"}'
 */
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, decodeJwt } from 'jose';
import { Provider } from 'oidc-provider';

const options = JSON.parse(process.argv[2]);
const kid = 'the-only-one';
const [own, foreign] = await Promise.all([1, 2].map(() => generateKeyPair('RS256', { extractable: true })));
const next = { sub: 'alice', groups: [], fault: undefined, deny: false };

const server = createServer();
await new Promise((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: options.clientId,
      client_secret: options.clientSecret,
      redirect_uris: [options.redirectUri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  jwks: { keys: [{ ...(await exportJWK(own.privateKey)), kid, use: 'sig', alg: 'RS256' }] },
  pkce: { required: () => true },
  claims: { openid: ['sub', 'groups'] },
  conformIdTokenClaims: options.groupsIn === 'userinfo',
  cookies: { keys: ['a-key-for-tests-only'] },
  features: { devInteractions: { enabled: false } },
  ttl: { AuthorizationCode: 60, IdToken: 3_600, AccessToken: 60, Interaction: 60, Session: 60, Grant: 60 },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, groups: next.groups }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, go) => {
  if (ctx.path === '/test') {
    let text = '';
    for await (const chunk of ctx.req) text += chunk;
    Object.assign(next, { fault: undefined, deny: false }, JSON.parse(text));
    ctx.body = '{}';
    return;
  }
  if (ctx.path.startsWith('/interaction/')) {
    const refusal = { error: 'access_denied', error_description: 'the user said no' };
    const result = next.deny ? refusal : { login: { accountId: next.sub } };
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
    ctx.respond = false;
    return;
  }
  await go();
  if (ctx.path === '/token' && ctx.body?.id_token && next.fault)
    ctx.body = { ...ctx.body, ...(await spoiled(ctx.body.id_token)) };
});

/** The ID token, or its place, as somebody would have it who is not the provider. */
async function spoiled(token) {
  const claims = decodeJwt(token);
  const now = Math.floor(Date.now() / 1_000);
  const changes = {
    nonce: { nonce: 'another' },
    no_nonce: { nonce: undefined },
    audience: { aud: 'another-client' },
    audiences: { aud: [options.clientId, 'another-client'], azp: 'another-client' },
    expired: { iat: now - 7_200, exp: now - 3_600 },
    not_yet: { nbf: now + 3_600 },
    issuer: { iss: 'https://another.example' },
    subject: { sub: undefined },
  };
  const payload = { ...claims, ...changes[next.fault] };
  if (next.fault === 'missing') return { id_token: undefined };
  if (next.fault === 'none') return { id_token: new UnsecuredJWT(payload).encode() };
  if (next.fault === 'symmetric') {
    const key = new TextEncoder().encode(options.clientSecret);
    return { id_token: await new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(key) };
  }
  const { privateKey } = next.fault === 'key' ? foreign : own;
  return { id_token: await new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey) };
}

server.on('request', provider.callback());
console.log(issuer);
