<?php
// php-memcached, which is libmemcached for PHP.
require __DIR__ . '/sections.php';

say('version php-memcached ' . phpversion('memcached') . ' on PHP ' . PHP_VERSION);
$client = new Memcached();
$client->addServer('127.0.0.1', PORT);

section('connect', function () use ($client) {
    expect(count($client->getVersion()), 1);
});

section('strings', function () use ($client) {
    expect($client->set('s', 1, 100), true);
    expect($client->get('s'), 1);
    expect($client->increment('s', 41), 42);
    expect($client->decrement('s', 2), 40);
    expect($client->add('s', 'x'), false);
    expect($client->replace('s', 'text'), true);
    $found = $client->get('s', null, Memcached::GET_EXTENDED);
    expect($client->cas($found['cas'], 's', 'other'), true);
    expect($client->cas($found['cas'], 's', 'third'), false);
    expect($client->touch('s', 100), true);
    expect($client->get('s'), 'other');
    expect($client->delete('s'), true);
    expect($client->get('s'), false);
});

section('multi-key', function () use ($client) {
    $names = array_map(fn ($number) => "m$number", range(0, 99));
    $values = array_combine($names, $names);
    expect($client->setMulti($values), true);
    expect($client->getMulti([...$names, 'none'], Memcached::GET_PRESERVE_ORDER), $values + ['none' => null]);
    expect($client->deleteMulti($names), array_fill_keys($names, true));
    expect($client->getMulti($names), []);
});

section('binary values', function () use ($client) {
    $value = str_repeat(implode('', array_map('chr', range(0, 255))), 2048);
    expect($client->set('b', $value), true);
    expect($client->get('b') === $value, true);
    expect($client->set('object', ['a' => [1, 2]]), true);
    expect($client->get('object'), ['a' => [1, 2]]);
});

section('an error keeps the connection', function () use ($client) {
    $client->set('word', 'x');
    $before = order('count');
    expect($client->increment('word'), false);
    expect($client->get('word'), 'x');
    expect(order('count'), $before);
});

section('reconnect', function () use ($client) {
    $client->set('r', 1);
    order('cut');
    $read = function () use ($client) {
        expect($client->get('r'), 1);
    };
    third_time($read);
});
