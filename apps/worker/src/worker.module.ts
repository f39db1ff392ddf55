import { Module, type DynamicModule } from '@nestjs/common';
import { WorkerLoopModule } from '@tyrum/tools/nest';

/** What runs in the worker process. */
@Module({})
export class WorkerModule {
  static forRoot(env: Readonly<Record<string, string | undefined>>): DynamicModule {
    return { module: WorkerModule, imports: [WorkerLoopModule.forRoot(env)] };
  }
}
