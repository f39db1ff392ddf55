/**
 * The origins of an edge's own pages where it listens for this host alone, so that its console works before anything is
 * configured. Only names that a browser resolves to that very address by itself are among them: a name that DNS was made to point
 * here (rebinding) is another origin, and so is another port. An edge that other hosts reach does not know what they call it:
 * there `TYRUM_ALLOWED_ORIGINS` says so.
 */
export function ownOrigins(host: string, port: number): string[] {
  // As browsers write an origin: without the port that goes without saying.
  return ownNames(host.toLowerCase()).map((name) => new URL(`http://${name}:${port}`).origin);
}

/** What a browser on this host may call the address; empty for one that others reach too. */
function ownNames(host: string): readonly string[] {
  if (host === 'localhost' || host === '127.0.0.1') return ['127.0.0.1', 'localhost'];
  if (host === '::1') return ['[::1]', 'localhost'];
  return /^127(\.\d{1,3}){3}$/.test(host) ? [host] : [];
}
