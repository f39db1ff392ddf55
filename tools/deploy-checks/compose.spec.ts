import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { parseDockerfile } from './dockerfile';
import { appPorts, defaultDrainMs, variablesOf } from './known-variables';
import { inWorkspace } from './workspace';

interface Service {
  profiles: string[];
  build?: { context: string; dockerfile: string; target: string };
  environment?: Record<string, string | null>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  command?: string[];
  stop_grace_period?: string;
  read_only?: boolean;
}

const text = readFileSync(inWorkspace('docker', 'compose.yaml'), 'utf8');
const compose = parse(text, { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build);

/** What the images say already, and the file of a secret that can be given itself. */
const fixed = ['TYRUM_HOME', 'TYRUM_HOST', 'TYRUM_PORT', 'TYRUM_OIDC_CLIENT_SECRET_FILE'];

function inProfile(profile: string): [string, Service][] {
  return services.filter(([, service]) => service.profiles.includes(profile));
}

function targets(profile: string): string[] {
  return inProfile(profile).flatMap(([, service]) => service.build?.target ?? []);
}

test('every service is in exactly one profile: one without would start beside a cluster', () => {
  expect(services.map(([name, service]) => [name, service.profiles?.length])).toEqual(
    services.map(([name]) => [name, 1]),
  );
});

test('single is one edge on SQLite that hosts every role', () => {
  expect(targets('single')).toEqual(['edge']);
  expect(inProfile('single')).toHaveLength(1);
  const environment = inProfile('single')[0]?.[1].environment;
  expect(environment).toMatchObject({ TYRUM_BACKPLANE: 'local', TYRUM_ROLES: 'edge,worker,scheduler' });
  expect(environment?.['TYRUM_DATABASE_URL']).toMatch(/^sqlite:\/var\/lib\/tyrum\//);
});

test('cluster is two of each role, Postgres and Redis', () => {
  expect(targets('cluster').sort()).toEqual(['edge', 'edge', 'scheduler', 'scheduler', 'worker', 'worker']);
  expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(['postgres', 'redis']));
  expect(compose.services['redis']?.command?.join(' ')).toContain('--maxmemory-policy noeviction');
});

test.each(['single', 'cluster'])('in %s no two services publish the same port, and all on loopback', (profile) => {
  const published = inProfile(profile).flatMap(([, service]) => service.ports ?? []);
  expect(published.length).toBeGreaterThan(0);
  for (const port of published) expect(port).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+:${appPorts['edge']}$`));
  expect(new Set(published).size).toBe(published.length);
});

describe.each(ours)('%s', (_name, service) => {
  test('sets only variables that its app reads', () => {
    const read = variablesOf[service.build?.target ?? ''] ?? [];
    expect(Object.keys(service.environment ?? {}).filter((name) => !read.includes(name))).toEqual([]);
  });

  test('can be given every variable that its app reads', () => {
    const target = service.build?.target ?? '';
    const inCluster = service.profiles.includes('cluster');
    const left = [
      ...fixed,
      ...(inCluster ? [] : ['TYRUM_REDIS_URL', 'TYRUM_WORKSPACE_ROOT']),
      // An edge of a cluster runs no turns: of the model it needs the price only.
      ...(inCluster && target === 'edge' ? ['TYRUM_MODEL_API_KEY', 'TYRUM_WORKSPACE_ROOT'] : []),
    ];
    const set = Object.keys(service.environment ?? {});
    expect(variablesOf[target]?.filter((name) => !set.includes(name) && !left.includes(name))).toEqual([]);
  });

  test('is given longer to stop than its drain takes', () => {
    const drainMs = Number(service.environment?.['TYRUM_DRAIN_MS'] ?? defaultDrainMs);
    expect(service.stop_grace_period).toMatch(/^\d+s$/);
    expect(parseInt(service.stop_grace_period ?? '0', 10) * 1000).toBeGreaterThan(drainMs);
  });

  test('is built from a target that exists', () => {
    const dockerfile = inWorkspace('docker', service.build?.context ?? '', service.build?.dockerfile ?? '');
    expect(existsSync(dockerfile)).toBe(true);
    const names = parseDockerfile(readFileSync(dockerfile, 'utf8')).map((stage) => stage.name);
    expect(names).toContain(service.build?.target);
  });

  test('runs on a read-only root, with declared volumes', () => {
    expect(service.read_only).toBe(true);
    for (const volume of service.volumes ?? []) {
      expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    }
  });

  test('has an instance id of its own', () => {
    const id = service.environment?.['TYRUM_INSTANCE_ID'];
    expect(ours.filter(([, other]) => other.environment?.['TYRUM_INSTANCE_ID'] === id)).toHaveLength(1);
  });
});

test('what waits for another service waits for its health, which that service reports', () => {
  const waits = services.flatMap(([, service]) => Object.entries(service.depends_on ?? {}));
  expect(waits.length).toBeGreaterThan(0);
  for (const [name, { condition }] of waits) {
    expect(condition).toBe('service_healthy');
    expect(compose.services[name]?.healthcheck).toBeDefined();
  }
});

test('both workers use the same workspaces', () => {
  const workers = ours.filter(([, service]) => service.build?.target === 'worker').map(([, service]) => service);
  expect(workers).toHaveLength(2);
  for (const worker of workers) {
    const root = worker.environment?.['TYRUM_WORKSPACE_ROOT'];
    expect(worker.volumes).toContain(`workspaces:${root}`);
  }
});

test('no secret is written down, and only what both profiles need is demanded', () => {
  for (const [, service] of services) {
    for (const [name, value] of Object.entries(service.environment ?? {})) {
      if (/TOKEN|PASSWORD|_KEY|SECRET/.test(name) && value !== null) expect(value).toMatch(/^\$\{[A-Z_]+:[-?][^}]*\}$/);
      if (/_URL$/.test(name) && value !== null) expect(value).not.toMatch(/:\/\/[^$@/]+:[^$@/]+@/);
    }
  }
  // Compose interpolates the whole file before it looks at profiles: a second demand would break `single`.
  const demanded = new Set([...text.matchAll(/\$\{([A-Z_]+):\?/g)].map((match) => match[1]));
  expect([...demanded]).toEqual(['TYRUM_BOOTSTRAP_TOKEN']);
});

test('the example of .env names every variable that compose.yaml asks for or passes on', () => {
  const example = readFileSync(inWorkspace('docker', '.env.example'), 'utf8');
  const asked = new Set([...text.matchAll(/\$\{([A-Z_]+)[:}]/g)].map((match) => match[1] ?? ''));
  expect(asked.size).toBe(2);
  for (const name of asked) expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
  const passedOn = ours.flatMap(([, service]) =>
    Object.entries(service.environment ?? {}).flatMap(([name, value]) => (value === null ? [name] : [])),
  );
  expect(passedOn.length).toBeGreaterThan(50);
  for (const name of passedOn) expect(example).toMatch(new RegExp(`^#${name}=`, 'm'));
  expect(example).toMatch(/^COMPOSE_PROFILES=single$/m);
});
