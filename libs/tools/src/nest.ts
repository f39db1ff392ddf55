export { WorkerLoopModule } from './worker-loop.module';
