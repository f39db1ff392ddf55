import { runApp } from '@tyrum/platform';
import { EdgeModule } from './edge.module';

void runApp({
  app: 'edge',
  env: process.env,
  argv: process.argv.slice(2),
  modules: (config) => [EdgeModule.forRoot(config, process.env)],
});
