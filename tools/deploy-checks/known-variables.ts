import { KNOWN_VARIABLES, loadConfig, type AppName } from '@tyrum/platform';

/** Every variable that an app reads. A deploy file that sets another one sets nothing. */
export const knownVariables: readonly string[] = KNOWN_VARIABLES;

const APPS: readonly AppName[] = ['edge', 'worker', 'scheduler', 'desktop-runtime'];

/** The port that each app listens on unless TYRUM_PORT says otherwise. */
export const appPorts: Readonly<Record<string, number>> = Object.fromEntries(
  APPS.map((app) => [app, loadConfig(app, {}).port]),
);

/** The drain deadline in ms that an app keeps unless TYRUM_DRAIN_MS says otherwise. */
export const defaultDrainMs = loadConfig('edge', {}).drainMs;
