import { lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Networks a step may not reach unless its host is allowed by name: ours, the host's own, the cloud's metadata. */
const PRIVATE_V4 = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['192.0.2.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE_V4.addSubnet(network, bits, 'ipv4');
}
// A list of its own: Node holds an IPv4 address against IPv6 rules too, as ::ffff:a.b.c.d, and `::/3` would be all of them.
const PRIVATE_V6 = new BlockList();
// Of IPv6 only 2000::/3 is the public Internet; left out are the parts of it that carry an IPv4 address, documentation and tests.
for (const [network, bits] of [
  ['::', 3],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['4000::', 2],
  ['8000::', 1],
] as const) {
  PRIVATE_V6.addSubnet(network, bits, 'ipv6');
}

/** The address is in a private network and its host is not on the allow-list. */
export class AddressRefusedError extends Error {
  readonly code = 'address_refused';
  constructor(host: string) {
    super(`${host} is in a private network; TYRUM_HTTP_ALLOW can allow it`);
    this.name = 'AddressRefusedError';
  }
}

/** Whether an IP address is in a private network; IPv4 inside IPv6 counts as what it is. */
export function isPrivateAddress(address: string): boolean {
  const mapped = /^::ffff:(.+)$/i.exec(address)?.[1];
  if (mapped) return isPrivateAddress(isIP(mapped) ? mapped : fromHex(mapped));
  const [plain = address] = address.split('%'); // fe80::1%eth0
  return isIP(plain) === 6 ? PRIVATE_V6.check(plain, 'ipv6') : PRIVATE_V4.check(plain, 'ipv4');
}

function fromHex(groups: string): string {
  const [high = 0, low = 0] = groups.split(':').map((group) => parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/**
 * A `lookup` for Node's sockets that checks what a name resolves to, in the very resolution the connection uses: checking
 * first and resolving again to connect would leave a DNS answer time to change.
 */
export function guardedLookup(allowed: ReadonlySet<string>): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const refused = !allowed.has(hostname) && addresses.some(({ address }) => isPrivateAddress(address));
      if (refused) return callback(new AddressRefusedError(hostname), '', 0);
      if (options.all) return (callback as (e: null, all: typeof addresses) => void)(null, addresses);
      const first = addresses[0];
      return first ? callback(null, first.address, first.family) : callback(new Error('no address'), '', 0);
    });
  };
}

/** Sockets do not look up a host that is an address already: check it here. @throws {AddressRefusedError} */
export function refusePrivateHost(url: URL, allowed: ReadonlySet<string>): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) && !allowed.has(host) && isPrivateAddress(host)) throw new AddressRefusedError(host);
}
