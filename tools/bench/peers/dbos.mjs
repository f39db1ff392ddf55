import { DBOS, DBOSClient } from '@dbos-inc/dbos-sdk';
import pg from 'pg';

// A queue with a polling interval at its documented minimum scale and as many workflows at once as the case allows. Adding
// is an enqueue by a client, which is durable when it returns.

const QUEUE = 'bench';
const WORKFLOW = 'bench';
const POLL_MS = 100;
const PRELOAD_IN_FLIGHT = 32;

export const name = 'dbos';

const silent = { info() {}, debug() {}, warn() {}, error: (text) => process.stderr.write(`${text}\n`) };

export async function open({ database, role, keyed, concurrency = 50 }) {
  const systemDatabaseUrl = database.address;
  let handler = async () => undefined;
  const workflow = DBOS.registerWorkflow(
    async (job) => {
      // One step is the workflow itself; more are checkpointed each.
      if (job.steps === undefined) await handler(job, 0);
      else for (let i = 0; i < job.steps; i += 1) await DBOS.runStep(async () => handler(job, i), { name: `step${i}` });
    },
    { name: WORKFLOW },
  );
  void workflow;
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl,
    logger: silent,
    runAdminServer: false,
    systemDatabasePoolSize: 20,
  });
  // A producer only talks to the database: a launched process would run what it adds.
  if (role === 'producer') await DBOS.migrate(systemDatabaseUrl);
  else await DBOS.launch();
  const client = await DBOSClient.create({
    systemDatabaseUrl,
    systemDatabasePoolSize: 20,
    logger: silent,
    applicationName: 'bench',
  });
  const pool = new pg.Pool({ connectionString: systemDatabaseUrl, max: 1 });
  const accept = async (job) => {
    await client.enqueue(
      {
        queueName: QUEUE,
        workflowName: WORKFLOW,
        workflowID: job.id,
        ...(keyed ? { queuePartitionKey: job.key } : {}),
      },
      job,
    );
  };
  const limits = {
    minPollingIntervalMs: POLL_MS,
    workerConcurrency: concurrency,
    ...(keyed ? { partitionConcurrency: 1 } : {}),
  };
  return {
    accept,
    async preload(jobs) {
      let next = 0;
      const add = async () => {
        while (next < jobs.length) await accept(jobs[next++]);
      };
      // In order within a key: its jobs stand far apart in the list.
      await Promise.all(Array.from({ length: PRELOAD_IN_FLIGHT }, add));
    },
    async work(run) {
      handler = run;
      // What nobody has registered is not polled for: the queue could fill up before.
      await DBOS.registerQueue(QUEUE, limits);
      return { stop: () => Promise.resolve() };
    },
    async remaining() {
      const { rows } = await pool.query(
        `select count(*)::int as n from dbos.workflow_status where queue_name = $1 and status in ('ENQUEUED', 'PENDING')`,
        [QUEUE],
      );
      return rows[0].n;
    },
    async close() {
      await pool.end();
      await client.destroy();
      if (role !== 'producer') await DBOS.shutdown();
    },
  };
}
