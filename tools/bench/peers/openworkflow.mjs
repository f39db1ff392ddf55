import { OpenWorkflow } from 'openworkflow';

// One worker with as many runs at once as the case allows; every step.run is a checkpoint.

export const name = 'openworkflow';

async function connect({ kind, address }) {
  if (kind === 'sqlite') {
    const { BackendSqlite } = await import('openworkflow/sqlite');
    return BackendSqlite.connect(address);
  }
  const { BackendPostgres } = await import('openworkflow/postgres');
  return BackendPostgres.connect(address);
}

export async function open({ database }) {
  const backend = await connect(database);
  const ow = new OpenWorkflow({ backend });
  let handler = async () => undefined;
  const workflow = ow.defineWorkflow({ name: 'bench' }, async ({ input, step }) => {
    const { steps = 1 } = input;
    for (let i = 0; i < steps; i += 1) await step.run({ name: `step${i}` }, async () => handler(input, i));
    return null;
  });
  const accept = async (job) => {
    await workflow.run(job);
  };
  return {
    accept,
    async preload(jobs) {
      let next = 0;
      const add = async () => {
        while (next < jobs.length) await accept(jobs[next++]);
      };
      await Promise.all(Array.from({ length: 16 }, add));
    },
    async work(run, { concurrency }) {
      handler = run;
      const worker = ow.newWorker({ concurrency });
      await worker.start();
      return { stop: () => worker.stop() };
    },
    async remaining() {
      const { pending = 0, running = 0, sleeping = 0 } = await backend.countWorkflowRuns();
      return pending + running + sleeping;
    },
    close: () => backend.stop(),
  };
}
