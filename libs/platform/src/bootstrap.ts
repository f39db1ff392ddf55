import type { AddressInfo } from 'node:net';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { collectStartUp } from './collect-start-up';
import { type AppName, type Config, ConfigError, loadConfig, renderHelp } from './config';
import { DrainSequence } from './drain';
import { drainHttpServer } from './drain-http-server';
import { BoundedExpressAdapter, HTTP_LIMITS, type HttpLimits } from './http-limits';
import { type Logger, NestLogger, createLogger } from './logging';
import { Metrics } from './metrics';
import { PlatformModule } from './platform.module';

const EXIT_FAILURE = 1;
/** EX_CONFIG of sysexits.h: a supervisor can tell that starting again will not help. */
const EXIT_CONFIG = 78;
const EXIT_SIGINT = 130;
const DEFAULT_BODY_LIMIT_BYTES = 1024 * 1024;

/** What makes one app out of the platform. */
export interface RunAppOptions {
  readonly app: AppName;
  /** `process.env`, read here and nowhere else. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `process.argv.slice(2)`; only `--help` is understood. */
  readonly argv: readonly string[];
  /** The modules that run in this process. `PlatformModule` is added. */
  readonly modules: (config: Config) => readonly (Type | DynamicModule)[];
  /** Called before the app listens, e.g. to set a WebSocket adapter or middleware. */
  readonly configure?: (app: NestExpressApplication, config: Config) => void | Promise<void>;
  /** Largest JSON or form body; a larger one gets 413. Default 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** Keeps the bytes as `request.rawBody`, for webhook signatures. Default false. */
  readonly rawBody?: boolean;
  /** What is absent is as `HTTP_LIMITS` says. */
  readonly httpLimits?: Partial<HttpLimits>;
}

@Module({})
class RootModule {}

/**
 * Runs an app until a signal stops it: config, logger, Nest, listen, drain. Resolves once the app listens and has logged
 * one `listening` line with the bound port. Ends the process itself: 0 after `--help` or a clean drain; 1 after a failed
 * boot, an unhandled rejection or exception, or a drain that left something behind; 78 when the configuration is bad;
 * 130 at the second SIGINT.
 */
export async function runApp(options: RunAppOptions): Promise<void> {
  if (options.argv.includes('--help')) {
    process.stdout.write(renderHelp(options.app));
    return;
  }
  let config: Config;
  try {
    config = loadConfig(options.app, options.env, { argv: options.argv });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_CONFIG;
    return;
  }
  const logger = createLogger(config);
  crashOnProgrammerErrors(logger);
  try {
    await boot(options, config, logger);
  } catch (error) {
    logger.fatal({ err: error }, 'boot failed');
    // Some of it only the part that reads it can check.
    process.exit(error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILURE);
  }
}

async function boot(options: RunAppOptions, config: Config, logger: Logger): Promise<void> {
  const imports = [PlatformModule.forRoot(config, logger), ...options.modules(config)];
  const app = await NestFactory.create<NestExpressApplication>(
    { module: RootModule, imports },
    new BoundedExpressAdapter({ ...HTTP_LIMITS, ...options.httpLimits }),
    { logger: new NestLogger(logger), abortOnError: false, bodyParser: false, rawBody: options.rawBody ?? false },
  );
  const drain = app.get(DrainSequence);
  drainHttpServer(app.getHttpServer(), drain);
  const refused = app
    .get(Metrics)
    .counter('tyrum_http_connections_refused_total', 'Connections beyond the limit, closed.');
  app.getHttpServer().on('drop', () => refused.inc());
  // Ours come first, so that the clock runs from the signal on even when Nest still waits for a slow start.
  stopOnSignals(drain, config, logger);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });

  const limit = options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES;
  app.useBodyParser('json', { limit });
  app.useBodyParser('urlencoded', { limit, extended: false });
  app.disable('x-powered-by');
  await options.configure?.(app, config);
  await app.listen(config.port, config.host);

  for (const name of config.unknownVariables) logger.warn({ variable: name }, 'unknown variable ignored');
  logger.info(
    {
      host: config.host,
      port: (app.getHttpServer().address() as AddressInfo).port,
      roles: config.roles,
      database: config.database.kind,
      backplane: config.backplane.kind,
    },
    'listening',
  );
  collectStartUp();
}

function stopOnSignals(drain: DrainSequence, config: Config, logger: Logger): void {
  let interrupts = 0;
  const stop = () => {
    if (drain.draining) return;
    drain.start();
    // The phases end before this; it is for what runs between and after them, and for a boot that never ends.
    setTimeout(() => {
      logger.fatal({ budget_ms: config.drainMs }, 'drain took too long');
      process.exit(EXIT_FAILURE);
    }, config.drainMs);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', () => {
    interrupts += 1;
    if (interrupts > 1) process.exit(EXIT_SIGINT);
    stop();
  });
  // Nest ends a stop with exit code 0, also when something was left behind.
  process.on('exit', (code) => {
    if (code === 0 && !drain.clean) process.exitCode = EXIT_FAILURE;
  });
}

/** An error nobody caught leaves the state unknown. Leases and the outbox make a crash safe; running on is not. */
function crashOnProgrammerErrors(logger: Logger): void {
  const crash = (kind: string) => (error: unknown) => {
    logger.fatal({ err: error }, kind);
    process.exit(EXIT_FAILURE);
  };
  process.on('unhandledRejection', crash('unhandled rejection'));
  process.on('uncaughtException', crash('uncaught exception'));
}
