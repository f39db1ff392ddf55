import { KNOWN_VARIABLES, loadConfig, renderHelp, type AppName, type Config } from '@tyrum/platform';

/** Every variable that an app reads. A deploy file that sets another one sets nothing. */
export const knownVariables: readonly string[] = KNOWN_VARIABLES;

const APPS: readonly AppName[] = ['edge', 'worker', 'scheduler', 'desktop-runtime'];

/** The variables that each app reads, as its `--help` lists them. */
export const variablesOf: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  APPS.map((app) => [app, [...renderHelp(app).matchAll(/^ {2}(TYRUM_\w+)$/gm)].map((match) => match[1] ?? '')]),
);

/** What an app makes of an environment. @throws ConfigError as its boot would */
export function configOf(app: string, env: Readonly<Record<string, string>>): Config {
  return loadConfig(app as AppName, env);
}

/** The port that each app listens on unless TYRUM_PORT says otherwise. */
export const appPorts: Readonly<Record<string, number>> = Object.fromEntries(
  APPS.map((app) => [app, loadConfig(app, {}).port]),
);

/** The drain deadline in ms that an app keeps unless TYRUM_DRAIN_MS says otherwise. */
export const defaultDrainMs = loadConfig('edge', {}).drainMs;
