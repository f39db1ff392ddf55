import { encodeBase64Url } from '@tyrum/protocol';
import { bearerToken, credentialsOf, subprotocolsOf } from './credentials';

const offered = (token: string) => `tyrum-v1, tyrum-auth.${encodeBase64Url(Buffer.from(token))}`;

it('takes the header before the cookie before the subprotocol', () => {
  const all = { authorization: 'Bearer a', cookie: 'x=1; tyrum_token=b', 'sec-websocket-protocol': offered('c') };
  expect(credentialsOf(all)).toEqual({ from: 'header', token: 'a' });
  expect(credentialsOf({ ...all, authorization: undefined })).toEqual({ from: 'cookie', token: 'b' });
  expect(credentialsOf({ 'sec-websocket-protocol': offered('c') })).toEqual({ from: 'subprotocol', token: 'c' });
  expect(credentialsOf({ 'sec-websocket-protocol': 'tyrum-v1', cookie: 'tyrum_tokens=b' })).toEqual({
    from: 'nowhere',
  });
});

it('does not let a good place make up for a bad one before it', () => {
  expect(credentialsOf({ authorization: 'Basic eA==', cookie: 'tyrum_token=b' })).toEqual({
    from: 'header',
    token: '',
  });
  expect(credentialsOf({ 'sec-websocket-protocol': 'tyrum-v1, tyrum-auth.%%' })).toEqual({
    from: 'subprotocol',
    token: '',
  });
});

it('reads bearer headers and subprotocol lists as RFC 6750 and RFC 6455 write them', () => {
  expect(bearerToken('bearer  t ')).toBe('t');
  for (const header of [undefined, '', 'Bearer', 'Bearer a b', 'Bearera']) expect(bearerToken(header)).toBeUndefined();
  expect(subprotocolsOf({ 'sec-websocket-protocol': ' a,b , ,c' })).toEqual(['a', 'b', 'c']);
});
