import type { IncomingMessage } from 'node:http';
import { ClientAddresses } from './client-addresses';

const PROXIES = ['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8'];

function addressOf(peer: string | undefined, forwarded?: string, networks: readonly string[] = PROXIES): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  const request = { socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage;
  return new ClientAddresses(networks).of(request);
}

it.each([
  ['no proxies', '10.0.0.1', '198.51.100.1', [], '10.0.0.1'],
  ['no header', '10.0.0.1', undefined, PROXIES, '10.0.0.1'],
  ['one proxy', '10.0.0.1', '198.51.100.1', PROXIES, '198.51.100.1'],
  ['a peer that is no proxy', '203.0.113.9', '198.51.100.1', PROXIES, '203.0.113.9'],
  ['a forged beginning', '10.0.0.1', '127.0.0.1, 10.9.9.9, 198.51.100.1', PROXIES, '198.51.100.1'],
  ['two proxies', '10.0.0.1', '1.1.1.1, 198.51.100.1, 192.0.2.7', PROXIES, '198.51.100.1'],
  ['beside a network of one address', '10.0.0.1', '198.51.100.1, 192.0.2.8', PROXIES, '192.0.2.8'],
  ['proxies all the way', '10.0.0.1', '10.0.0.3, 10.0.0.2', PROXIES, '10.0.0.3'],
  ['an IPv4 peer on an IPv6 socket', '::ffff:10.0.0.1', '198.51.100.1', PROXIES, '198.51.100.1'],
  ['an IPv4 client as IPv6', '10.0.0.1', '::FFFF:198.51.100.1', PROXIES, '198.51.100.1'],
  ['IPv6', 'fd00::1', '2001:DB8::5', PROXIES, '2001:db8::5'],
  ['ports', '10.0.0.1', '[2001:db8::5]:4711', PROXIES, '2001:db8::5'],
  ['ports of IPv4', '10.0.0.1', '198.51.100.1:4711', PROXIES, '198.51.100.1'],
  ['a zone', '10.0.0.1', 'fe80::1%eth0', PROXIES, 'fe80::1'],
  ['no address at all', '10.0.0.1', '198.51.100.1, unknown', PROXIES, '10.0.0.1'],
  ['something empty', '10.0.0.1', '198.51.100.1,', PROXIES, '10.0.0.1'],
  ['a header of many', '10.0.0.1', 'x,'.repeat(5_000), PROXIES, '10.0.0.1'],
  ['a socket that is gone', undefined, '198.51.100.1', PROXIES, ''],
] as const)('finds the client with %s', (_name, peer, forwarded, networks, expected) => {
  expect(addressOf(peer, forwarded, networks)).toBe(expected);
});
