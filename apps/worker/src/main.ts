import { runApp } from '@tyrum/platform';
import { WorkerModule } from './worker.module';

void runApp({
  app: 'worker',
  env: process.env,
  argv: process.argv.slice(2),
  modules: () => [WorkerModule.forRoot(process.env)],
});
