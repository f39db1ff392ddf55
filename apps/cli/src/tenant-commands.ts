import type { TenantView } from '@tyrum/protocol';
import type { Command } from 'commander';
import { connect, UsageError, type ConnectionOptions } from './config';
import { table } from './table';
import { print } from './turn-commands';

type Globals = ConnectionOptions & { readonly json?: boolean };

interface QuotaOptions {
  readonly connections?: string;
  readonly requests?: string;
  readonly storedBytes?: string;
}

/** `tenant …`: for admins of the installation's first tenant. */
export function addTenantCommands(program: Command): void {
  const globals = () => program.opts<Globals>();
  const tenant = program.command('tenant').description('tenants of the installation');
  const withQuotas = (command: Command): Command =>
    command
      .option('--connections <n>', 'long connections at one edge; 0 lifts the quota')
      .option('--requests <n>', 'requests in ten seconds; 0 lifts the quota')
      .option('--stored-bytes <n>', 'what its artifacts may take, in bytes; 0 lifts the quota');

  withQuotas(
    tenant.command('create <slug>').description("create a tenant; its admin's token is shown this once"),
  ).action(async (slug: string, options: QuotaOptions) => {
    const created = await connect(globals()).createTenant({ slug, ...quotasOf(options) });
    print(globals(), created, `${created.tenant.tenant_id}\n${created.admin.token}\n`);
  });

  tenant
    .command('list')
    .description('all tenants')
    .action(async () => {
      const tenants = await connect(globals()).tenants();
      const columns = ['TENANT', 'SLUG', 'STATE', 'CONNECTIONS', 'REQUESTS', 'STORED', 'OF BYTES'];
      print(globals(), tenants, table(columns, tenants.map(rowOf)));
    });

  const update = async (id: string, body: object): Promise<void> => {
    const after = await connect(globals()).updateTenant(id, body);
    print(globals(), after, `${rowOf(after).join('  ')}\n`);
  };
  withQuotas(tenant.command('quota <id>').description('set quotas')).action((id: string, options: QuotaOptions) =>
    update(id, quotasOf(options)),
  );
  tenant
    .command('disable <id>')
    .description('its tokens no longer hold, its connections end, its turns and schedules rest')
    .action((id: string) => update(id, { disabled: true }));
  tenant
    .command('enable <id>')
    .description('its tokens hold again, and its turns and schedules go on')
    .action((id: string) => update(id, { disabled: false }));
}

function rowOf(tenant: TenantView): string[] {
  const quota = (value: number | null): string => (value === null ? '-' : String(value));
  const state = tenant.disabled_at === null ? 'enabled' : 'disabled';
  const { max_connections, max_requests, stored_bytes, max_stored_bytes } = tenant;
  const usage = [max_connections, max_requests, stored_bytes, max_stored_bytes].map(quota);
  return [tenant.tenant_id, tenant.slug, state, ...usage];
}

function quotasOf({ connections, requests, storedBytes }: QuotaOptions): object {
  return {
    ...(connections === undefined ? {} : { max_connections: wholeNumber(connections, '--connections') }),
    ...(requests === undefined ? {} : { max_requests: wholeNumber(requests, '--requests') }),
    ...(storedBytes === undefined ? {} : { max_stored_bytes: wholeNumber(storedBytes, '--stored-bytes') }),
  };
}

function wholeNumber(text: string, option: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new UsageError(`${option}: "${text}" is not a whole number`);
  return Number(text);
}
