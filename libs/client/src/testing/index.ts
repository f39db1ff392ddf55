export { fixtureEvent, GatewayFixture, SILENCE, type FixtureConnection, type FixtureOptions } from './gateway-fixture';
