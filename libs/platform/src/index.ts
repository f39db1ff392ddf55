export { runApp } from './bootstrap';
export {
  ConfigError,
  loadConfig,
  renderHelp,
  type AppName,
  type Config,
  type OidcConfig,
  type WireLimits,
} from './config';
export { DrainSequence } from './drain';
export { HealthRegistry } from './health';
export { createLogger, withLogContext, type Logger } from './logging';
export { Metrics } from './metrics';
export { CONFIG, LOGGER, PlatformModule } from './platform.module';
export { Secret } from './secret';
export { KNOWN_VARIABLES } from './variables';
export { VERSION } from './version';
export { openHomeKey } from './home-key';
