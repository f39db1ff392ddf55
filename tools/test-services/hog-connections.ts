import { Client } from 'pg';

const TOO_MANY = '53300';

/**
 * Takes every connection a server has to give, those of its clients too. For a server of the test's own, whose
 * `max_connections` is small. @throws when it has not got all of them after so many rounds
 */
export async function hogConnections(url: string): Promise<{ release(): Promise<void> }> {
  const hogs: Client[] = [];
  const release = async () => void (await Promise.all(hogs.map((hog) => hog.end())));
  const first = await connect(url);
  if (!first) throw new Error('the server has no connection to begin with');
  hogs.push(first);
  for (let round = 0; round < 1_000; round += 1) {
    for (let hog = await connect(url); hog; hog = await connect(url)) hogs.push(hog);
    // Whoever gets a place between these two loses it again in the next round.
    const { rowCount } = await first.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and application_name <> 'hog'`,
    );
    if (rowCount === 0) return { release };
  }
  await release();
  throw new Error('others were always quicker');
}

async function connect(url: string): Promise<Client | undefined> {
  const client = new Client({ connectionString: url, application_name: 'hog' });
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    if ((error as { code?: string }).code !== TOO_MANY) throw error;
    return undefined;
  }
}
