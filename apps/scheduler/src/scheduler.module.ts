import { Module } from '@nestjs/common';
import { SchedulerLoopModule } from '@tyrum/scheduling/nest';

/** What runs in the scheduler process. */
@Module({ imports: [SchedulerLoopModule] })
export class SchedulerModule {}
