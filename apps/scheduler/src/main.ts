import { runApp } from '@tyrum/platform';
import { SchedulerModule } from './scheduler.module';

void runApp({
  app: 'scheduler',
  env: process.env,
  argv: process.argv.slice(2),
  modules: () => [SchedulerModule],
});
