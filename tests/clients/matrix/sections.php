<?php
// Runs the sections of a script: each prints one line, and the next one runs whatever happened.

define('PORT', (int) getenv('PORT'));
define('PLACE', getenv('PLACE'));

function say($line)
{
    echo $line, "\n";
    flush();
}

function section($name, $body)
{
    try {
        $body();
        say("$name ok");
    } catch (Throwable $error) {
        $text = preg_replace('/\s+/', ' ', get_class($error) . ': ' . $error->getMessage());
        say("$name FAILED: " . substr($text, 0, 300));
    }
}

function expect($got, $wanted)
{
    if ($got !== $wanted) {
        $texts = array_map(fn ($value) => substr(json_encode($value) ?: gettype($value), 0, 120), [$got, $wanted]);
        throw new Exception("$texts[0], not $texts[1]");
    }
}

function order($word)
{
    $control = stream_socket_client('tcp://127.0.0.1:' . getenv('CONTROL'));
    fwrite($control, "$word\n");
    return (int) stream_get_contents($control);
}

function third_time($body)
{
    for ($attempt = 1; ; $attempt++) {
        try {
            return $body();
        } catch (Throwable $error) {
            if ($attempt == 3) {
                throw $error;
            }
        }
    }
}
