/**
 * Which library may import which. Lint enforces it by tag (`lib:<name>` in each project.json), and boundaries.spec.ts checks
 * the imports themselves. docs/architecture.md shows the same table.
 */
export const ALLOWED = {
  protocol: [],
  platform: [],
  statestore: ['protocol'],
  leases: ['statestore'],
  idempotency: ['statestore', 'protocol'],
  backplane: ['protocol'],
  outbox: ['statestore', 'backplane', 'protocol'],
  execution: ['evidence', 'leases', 'idempotency', 'outbox', 'backplane', 'statestore', 'protocol', 'platform'],
  evidence: ['statestore', 'outbox', 'protocol', 'platform'],
  identity: ['evidence', 'statestore', 'protocol', 'platform'],
  secrets: ['evidence', 'statestore', 'protocol', 'platform'],
  nodes: ['outbox', 'backplane', 'statestore', 'protocol', 'platform'],
  tools: ['execution', 'nodes', 'secrets', 'evidence', 'leases', 'backplane', 'statestore', 'protocol', 'platform'],
  scheduling: [
    'execution',
    'idempotency',
    'leases',
    'outbox',
    'backplane',
    'statestore',
    'protocol',
    'platform',
    // Retention sweeps what every library keeps.
    'identity',
    'nodes',
    'evidence',
    'desktops',
  ],
  desktops: [
    'execution',
    'identity',
    'nodes',
    'evidence',
    'leases',
    'backplane',
    'statestore',
    'protocol',
    'platform',
    // A desktop is a node like any other, and connects as one.
    'client',
  ],
  gateway: [
    'execution',
    'identity',
    'nodes',
    'secrets',
    'evidence',
    'scheduling',
    'desktops',
    'outbox',
    'backplane',
    'idempotency',
    'leases',
    'statestore',
    'protocol',
    'platform',
  ],
  client: ['protocol'],
};

/** npm packages that only some libraries may import. */
export const EXTERNAL_BANS = [
  { packages: ['typeorm', 'pg', 'sqlite3'], only: ['statestore'] },
  { packages: ['ioredis', 'bullmq'], only: ['backplane'] },
  { packages: ['openai'], only: ['tools'] },
  { packages: ['croner'], only: ['scheduling'] },
  { packages: ['@aws-sdk/client-s3'], only: ['evidence'] },
  { packages: ['openid-client'], only: ['identity'] },
  // The client side is in tools, the server side is a door like the others: docs/decisions/0016.
  { packages: ['@modelcontextprotocol/sdk'], only: ['tools', 'gateway'] },
];
