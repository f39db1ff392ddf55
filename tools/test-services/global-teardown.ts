import { admin } from './databases';
import { started } from './started';

/** Drops the template and stops the servers that the setup started, and only those. */
export default async function tearDown(): Promise<void> {
  const server = process.env['TYRUM_TEST_POSTGRES_URL'];
  const template = process.env['TYRUM_TEST_POSTGRES_TEMPLATE'];
  if (server && template) await admin(server, (client) => client.query(`drop database if exists ${template} with (force)`));
  for (const stop of started.splice(0)) await stop();
}
