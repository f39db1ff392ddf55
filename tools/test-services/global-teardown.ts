import { started } from './started';

/** Drops the template and stops the servers that the setup started, and only those; last in, first out. */
export default async function tearDown(): Promise<void> {
  for (const stop of started.splice(0).reverse()) await stop();
}
