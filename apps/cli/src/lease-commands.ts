import type { Command } from 'commander';
import { connect, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

/** `leases [kind] [name]`. */
export function addLeaseCommands(program: Command): void {
  program
    .command('leases [kind] [name]')
    .description('who owns what: conversations, and for administrators shards and hosts; with a name, its history')
    .action(async (kind: string | undefined, name: string | undefined) => {
      const globals = program.opts<Globals>();
      const api = connect(globals);
      if (kind !== undefined && name !== undefined) {
        const history = await api.leaseHistory(kind, name);
        const rows = history.map((h) => [h.at, h.reason, h.token, h.owner, h.taken_from ?? '']);
        return print(globals, history, table(['AT', 'REASON', 'TOKEN', 'OWNER', 'TAKEN FROM'], rows));
      }
      const leases = await api.leases(kind);
      const rows = leases.map((lease) => [
        lease.kind,
        lease.name,
        lease.owner === null ? 'free' : lease.held ? 'held' : 'expired',
        lease.token,
        lease.owner ?? '',
        lease.since ?? '',
        lease.takeovers ? String(lease.takeovers) : '',
      ]);
      print(globals, leases, table(['KIND', 'NAME', 'STATE', 'TOKEN', 'OWNER', 'SINCE', 'TAKEOVERS'], rows));
    });
}
