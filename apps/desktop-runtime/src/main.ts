import { runApp } from '@tyrum/platform';
import { DesktopRuntimeModule } from './desktop-runtime.module';

void runApp({
  app: 'desktop-runtime',
  env: process.env,
  argv: process.argv.slice(2),
  modules: () => [DesktopRuntimeModule],
});
