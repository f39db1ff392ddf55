import { ownOrigins } from './own-origins';

it.each([
  ['127.0.0.1', ['http://127.0.0.1:8788', 'http://localhost:8788']],
  ['LOCALHOST', ['http://127.0.0.1:8788', 'http://localhost:8788']],
  ['::1', ['http://[::1]:8788', 'http://localhost:8788']],
  // Others on this host may own the other addresses of the loopback network.
  ['127.0.0.2', ['http://127.0.0.2:8788']],
  ['0.0.0.0', []],
  ['::', []],
  ['10.0.0.1', []],
  ['edge.example', []],
  ['127.0.0.1.evil.example', []],
])('an edge at %s has the origins %j', (host, origins) => {
  expect(ownOrigins(host, 8788)).toEqual(origins);
});

it('writes them as browsers do, without the port of http', () => {
  expect(ownOrigins('127.0.0.1', 80)).toEqual(['http://127.0.0.1', 'http://localhost']);
});
