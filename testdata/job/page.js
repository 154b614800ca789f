export function page(query) {
  return '<!doctype html><html lang="en"><title>Greeter</title><link rel="icon" href="data:,"><main><h1>Greeter</h1></main></html>';
}
