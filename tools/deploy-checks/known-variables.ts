/** Every variable that an app reads. A deploy file that sets another one sets nothing. */
export const knownVariables: readonly string[] = [
  'TYRUM_HOME',
  'TYRUM_DATABASE_URL',
  'TYRUM_REDIS_URL',
  'TYRUM_BACKPLANE',
  'TYRUM_ROLES',
  'TYRUM_HOST',
  'TYRUM_PORT',
  'TYRUM_BOOTSTRAP_TOKEN',
  'TYRUM_LEASE_TTL_MS',
  'TYRUM_INSTANCE_ID',
  'TYRUM_WORKSPACE_ROOT',
  'TYRUM_LOG_LEVEL',
  'TYRUM_POLICY',
  'TYRUM_MODEL_BASE_URL',
  'TYRUM_MODEL',
  'TYRUM_MODEL_API_KEY',
  'TYRUM_DRAIN_MS',
];

/** The port that each app listens on unless TYRUM_PORT says otherwise. */
export const appPorts: Readonly<Record<string, number>> = {
  edge: 8788,
  worker: 8789,
  scheduler: 8790,
  'desktop-runtime': 8791,
};

/** The drain deadline in ms that an app keeps unless TYRUM_DRAIN_MS says otherwise. */
export const defaultDrainMs = 25_000;
