import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Whose request it is, behind proxies. Each proxy appends to `X-Forwarded-For` who it was called by, so the list is believed
 * from its right end on, for as long as the one that told is a proxy of ours; what stands further left anybody may have written.
 */
export class ClientAddresses {
  private readonly proxies = new BlockList();
  private readonly isDirect: boolean;

  /** @param networks the proxies' own, as `10.0.0.0/8`; none: the header is not looked at */
  constructor(networks: readonly string[]) {
    this.isDirect = networks.length === 0;
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      this.proxies.addSubnet(address, Number(prefix), familyOf(address));
    }
  }

  /** The address of the nearest peer that is no proxy of ours; empty when the socket is gone. */
  of(request: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    let address = plain(request.socket.remoteAddress ?? '');
    if (this.isDirect) return address;
    const told = String(request.headers['x-forwarded-for'] ?? '').split(',');
    while (told.length > 0 && this.isProxy(address)) {
      const next = plain(told.pop()?.trim() ?? '');
      // A proxy that passes on what is no address tells nothing: it stands for its client itself.
      if (isIP(next) === 0) break;
      address = next;
    }
    return address;
  }

  private isProxy(address: string): boolean {
    return isIP(address) !== 0 && this.proxies.check(address, familyOf(address));
  }
}

/** One spelling for one address: without the port some proxies add, without a zone, and IPv4 as such. */
function plain(text: string): string {
  const [, bracketed, dotted] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? [];
  const address = (bracketed ?? dotted ?? text).replace(/%.*$/, '').toLowerCase();
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
