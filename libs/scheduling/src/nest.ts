export { SchedulerLoopModule, SchedulingModule } from './scheduling.module';
