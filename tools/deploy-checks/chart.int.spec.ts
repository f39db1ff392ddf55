import { container, helm, ofKind, render, type Deployment, type KubernetesObject } from './chart';
import { appPorts, configOf, knownVariables, variablesOf } from './known-variables';

jest.setTimeout(60_000);

const modes = ['single', 'cluster', 'everything'];

function deployments(objects: readonly KubernetesObject[]): Deployment[] {
  return [...ofKind<Deployment>(objects, 'Deployment'), ...ofKind<Deployment>(objects, 'StatefulSet')];
}

function role(deployment: Deployment): string {
  return deployment.metadata.labels['app.kubernetes.io/component'] ?? '';
}

/** Variables with a value in plain sight: the ConfigMap's and the pods' literals. */
function plainVariables(objects: readonly KubernetesObject[]): [string, string][] {
  return [
    ...ofKind(objects, 'ConfigMap').flatMap((config) => Object.entries(config.data ?? {})),
    ...deployments(objects).flatMap((deployment) =>
      container(deployment).env.flatMap(({ name, value }): [string, string][] => (value ? [[name, value]] : [])),
    ),
  ];
}

/** A value for each variable that comes from the Secret. */
const secrets: Readonly<Record<string, string>> = {
  TYRUM_AUDIT_KEY: 'A'.repeat(43),
  TYRUM_BOOTSTRAP_TOKEN: `tyrum-token.v1.00000000-0000-4000-8000-000000000000.${'a'.repeat(43)}`,
  TYRUM_DATABASE_URL: 'postgres://tyrum:example@postgres.example:5432/tyrum',
  TYRUM_MODEL_API_KEY: 'example',
  TYRUM_OIDC_CLIENT_SECRET: 'a-secret-of-some-length',
  TYRUM_REDIS_URL: 'redis://redis.example:6379',
  TYRUM_S3_ACCESS_KEY_ID: 'example',
  TYRUM_S3_SECRET_ACCESS_KEY: 'example',
  TYRUM_SECRET_KEYS: 'A'.repeat(43),
  TYRUM_WEBHOOK_KEY: 'a'.repeat(32),
};

/** What a Secret need not have. */
const optional = Object.keys(secrets).filter((name) => !/BOOTSTRAP_TOKEN|DATABASE_URL|REDIS_URL/.test(name));

/** The whole environment of a pod; `unset` names what its Secret does not have. */
function environment(objects: readonly KubernetesObject[], pod: Deployment, unset: readonly string[] = []) {
  const own = container(pod).env.flatMap(({ name, value, valueFrom }): [string, string][] => {
    if (valueFrom?.secretKeyRef) return unset.includes(name) ? [] : [[name, secrets[name] ?? '']];
    return [[name, value ?? 'pod']];
  });
  return { ...ofKind(objects, 'ConfigMap')[0]?.data, ...Object.fromEntries(own) };
}

/** The values of `everything`, in one pod. */
const single = {
  mode: 'single',
  'secret.databaseUrl': '',
  'secret.redisUrl': '',
  'edge.autoscaling.enabled': false,
  'worker.autoscaling.enabled': false,
  'desktopRuntime.enabled': false,
};

const provider = {
  'oidc.issuer': 'https://login.example:8443/realm',
  'oidc.clientId': 'tyrum',
  'oidc.redirectUri': 'https://tyrum.example/oidc/callback',
  'oidc.groups': [{ group: 'ops', tenant: 'default', role: 'admin' }],
};

interface NetworkPolicy extends KubernetesObject {
  readonly spec: { readonly egress: { ports?: { port: number }[] }[] };
}

describe.each(modes)('with the values of %s', (mode) => {
  let objects: KubernetesObject[];
  beforeAll(async () => {
    objects = await render(mode);
  });

  test('helm lint finds nothing', async () => {
    await expect(helm(['lint', '--strict'], mode)).resolves.toContain('0 chart(s) failed');
  });

  test('no two objects share a kind and a name', () => {
    const names = objects.map((object) => `${object.kind}/${object.metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  test('probes ask the port that the app listens on', () => {
    expect(deployments(objects).length).toBeGreaterThan(0);
    for (const deployment of deployments(objects)) {
      const { ports, env, startupProbe, livenessProbe, readinessProbe } = container(deployment);
      const port = appPorts[role(deployment)];
      expect(ports).toEqual([{ name: 'http', containerPort: port }]);
      expect(env.find(({ name }) => name === 'TYRUM_PORT')?.value).toBe(String(port));
      expect(startupProbe.httpGet).toEqual({ path: '/livez', port: 'http' });
      expect(livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http' });
      expect(readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
    }
  });

  test('a pod is given longer to stop than its drain takes', () => {
    const drainMs = Number(ofKind(objects, 'ConfigMap')[0]?.data?.['TYRUM_DRAIN_MS']);
    expect(drainMs).toBeGreaterThan(0);
    for (const { spec } of deployments(objects)) {
      expect(spec.template.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(drainMs);
    }
  });

  test('only variables that an app reads are set', () => {
    const names = [
      ...ofKind(objects, 'ConfigMap').flatMap((config) => Object.keys(config.data ?? {})),
      ...deployments(objects).flatMap((deployment) => container(deployment).env.map(({ name }) => name)),
    ];
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !knownVariables.includes(name))).toEqual([]);
  });

  test('no address of a database or Redis, and no token, is in plain sight', () => {
    for (const deployment of deployments(objects)) {
      expect(container(deployment).args).toBeUndefined();
      expect(container(deployment).command).toBeUndefined();
    }
    for (const [name, value] of plainVariables(objects)) {
      expect(value).not.toMatch(/^(postgres|postgresql|redis|rediss):/);
      expect(Object.keys(secrets).filter((secret) => secret !== 'TYRUM_DATABASE_URL')).not.toContain(name);
    }
  });

  test('each app takes what its pod is given, and is given no secret that it does not read', () => {
    for (const deployment of deployments(objects)) {
      const given = environment(objects, deployment, mode === 'everything' ? [] : optional);
      expect(() => configOf(role(deployment), given)).not.toThrow();
      const fromSecret = container(deployment).env.filter(({ valueFrom }) => valueFrom?.secretKeyRef);
      const unread = fromSecret.filter(({ name }) => !variablesOf[role(deployment)]?.includes(name));
      expect(unread.map(({ name }) => `${role(deployment)} ${name}`)).toEqual([]);
    }
  });

  test('pods are locked down', () => {
    for (const deployment of deployments(objects)) {
      const pod = deployment.spec.template.spec;
      expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      // A sandbox inside of the pod takes namespaces, which the pod's own user namespace makes harmless: docs/desktops.md.
      const nests = pod.hostUsers === false;
      expect(nests).toBe(role(deployment) === 'desktop-runtime' && mode === 'cluster');
      const type = nests ? 'Unconfined' : 'RuntimeDefault';
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type } });
      expect(container(deployment).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
        ...(nests ? { procMount: 'Unmasked' } : {}),
      });
      expect(container(deployment).resources.limits['memory']).toBeDefined();
    }
    expect(ofKind(objects, 'ServiceAccount').map((account) => account.automountServiceAccountToken)).toEqual([false]);
  });

  test('a changed configuration replaces the pods', async () => {
    const changed = deployments(await render(mode, { logLevel: 'trace' }));
    deployments(objects).forEach((before, index) => {
      const after = changed[index]?.spec.template.metadata.annotations['checksum/config'];
      expect(after).toMatch(/^[0-9a-f]{64}$/);
      expect(after).not.toBe(before.spec.template.metadata.annotations['checksum/config']);
    });
  });

  test('every role has a network policy', () => {
    const policies = ofKind(objects, 'NetworkPolicy').map(({ metadata }) => metadata.name);
    expect(policies.sort()).toEqual(
      deployments(objects)
        .map(({ metadata }) => metadata.name)
        .sort(),
    );
  });
});

test('every variable that an app reads can be set', async () => {
  // The secret itself is in the Secret, so its file is not needed; only workers have workspaces of their own claim.
  const left: Readonly<Record<string, readonly string[]>> = {
    single: ['TYRUM_OIDC_CLIENT_SECRET_FILE', 'TYRUM_REDIS_URL', 'TYRUM_WORKSPACE_ROOT'],
    edge: ['TYRUM_OIDC_CLIENT_SECRET_FILE', 'TYRUM_MODEL_API_KEY', 'TYRUM_WORKSPACE_ROOT'],
  };
  for (const [settings, isSingle] of [
    [{}, false],
    [single, true],
  ] as const) {
    const objects = await render('everything', settings);
    for (const deployment of deployments(objects)) {
      const set = environment(objects, deployment);
      const missing = variablesOf[role(deployment)]?.filter((name) => set[name] === undefined);
      expect(missing?.sort()).toEqual((left[isSingle ? 'single' : role(deployment)] ?? []).toSorted());
    }
  }
});

test('what is not set is what the app has by itself', async () => {
  const objects = await render('single');
  const [pod] = deployments(objects);
  const given = configOf('edge', environment(objects, pod as Deployment, optional));
  const { home, host, instanceId, bootstrapToken } = given;
  const own = configOf('edge', {
    TYRUM_HOME: home,
    TYRUM_HOST: host,
    TYRUM_INSTANCE_ID: instanceId,
    TYRUM_BOOTSTRAP_TOKEN: bootstrapToken?.reveal() ?? '',
  });
  expect(given).toEqual(own);
});

test('edges and schedulers reach the ports of the bucket and of the OpenID provider', async () => {
  const ports = async (settings: Record<string, unknown>) => {
    const policies = ofKind<NetworkPolicy>(await render('cluster', settings), 'NetworkPolicy');
    return Object.fromEntries(
      policies.map(({ metadata, spec }) => [
        metadata.labels['app.kubernetes.io/component'],
        spec.egress.flatMap((rule) => rule.ports?.map(({ port }) => port) ?? []),
      ]),
    );
  };
  const data = [53, 53, 5432, 6379];
  expect(await ports({})).toMatchObject({ edge: data, scheduler: data });
  expect(await ports({ 's3.bucket': 'example' })).toMatchObject({ edge: [...data, 443], scheduler: [...data, 443] });
  const inside = { 's3.bucket': 'example', 's3.endpoint': 'http://minio:9000', ...provider };
  expect(await ports(inside)).toMatchObject({ edge: [...data, 9000, 8443], scheduler: [...data, 9000] });
  expect(await ports({ 's3.bucket': 'example', 's3.endpoint': 'http://minio' })).toMatchObject({
    scheduler: [...data, 80],
  });
});

test('single mode is exactly one pod, replaced and never doubled, whatever the replicas say', async () => {
  const objects = await render('single', { 'edge.replicas': 5, 'worker.replicas': 5 });
  expect(deployments(objects).map(({ spec }) => [spec.replicas, spec.strategy.type])).toEqual([[1, 'Recreate']]);
  expect(ofKind(objects, 'PersistentVolumeClaim').map(({ metadata }) => metadata.name)).toEqual(['tyrum-home']);
  expect(new Map(plainVariables(objects)).get('TYRUM_ROLES')).toBe('edge,worker,scheduler');
  expect(new Map(plainVariables(objects)).get('TYRUM_DATABASE_URL')).toMatch(/^sqlite:\/var\/lib\/tyrum\//);
});

test('a cluster is one Deployment a role, with the database from the Secret and an edge that hosts no loops', async () => {
  const objects = await render('cluster');
  expect(deployments(objects).map(role).sort()).toEqual(['desktop-runtime', 'edge', 'scheduler', 'worker']);
  for (const deployment of deployments(objects)) {
    const url = container(deployment).env.find(({ name }) => name === 'TYRUM_DATABASE_URL');
    expect(url?.valueFrom?.secretKeyRef).toEqual({ name: 'tyrum', key: 'TYRUM_DATABASE_URL' });
    expect(deployment.spec.template.spec.topologySpreadConstraints).toHaveLength(2);
  }
  expect(new Map(plainVariables(objects)).get('TYRUM_ROLES')).toBe('edge');
  expect(ofKind(objects, 'Secret')).toEqual([]);
  // The desktop runtime has one replica: a budget over it would only make its machine impossible to drain.
  const budgets = ofKind(objects, 'PodDisruptionBudget').map(({ metadata }) => metadata.name);
  expect(budgets.sort()).toEqual(['tyrum-edge', 'tyrum-scheduler', 'tyrum-worker']);
});

test('workers share their workspaces and no other role sees them', async () => {
  const mounting = deployments(await render('cluster')).filter((deployment) =>
    container(deployment).volumeMounts.some(({ name }) => name === 'workspaces'),
  );
  expect(mounting.map(role)).toEqual(['worker']);
});

test('an autoscaled role has no replicas of its own, which each upgrade would reset', async () => {
  const objects = await render('everything');
  const replicas = deployments(objects).map((deployment) => [role(deployment), deployment.spec.replicas]);
  expect(Object.fromEntries(replicas)).toEqual({
    edge: undefined,
    worker: undefined,
    scheduler: 3,
    'desktop-runtime': 2,
  });
  expect(ofKind(objects, 'HorizontalPodAutoscaler').map(({ metadata }) => metadata.name)).toEqual([
    'tyrum-edge',
    'tyrum-worker',
  ]);
});

test('names stay within a DNS label under the longest release name', async () => {
  const text = await helm(['template', 'a'.repeat(53)], 'everything');
  const names = [...text.matchAll(/^ {2}name: (\S+)$/gm)].map((match) => match[1] ?? '');
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(name.length).toBeLessThanOrEqual(63);
});
