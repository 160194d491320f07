<?php
$payload = [
"key" => "",
"model_id" => "model_id",
"prompt" => "Girl smiling and sitting on bench, ultra HD video",
"negative_prompt" => "Low Quality",
"width" => "512",
"height" => "512",
"scheduler" => "UniPCMultistepScheduler",
"num_inference_steps" => "30",
"enhance_prompt" => "yes",
"guidance_scale" => 7.5,
"strength" => 0.7,
"seed" => null,
"webhook" => null,
"track_id" => null
];
$curl = curl_init();
curl_setopt_array($curl, array(
CURLOPT_URL => 'https://stablediffusionapi.com/api/v1/enterprise/text2video',
CURLOPT_RETURNTRANSFER => true,
CURLOPT_ENCODING => '',
CURLOPT_MAXREDIRS => 10,
CURLOPT_TIMEOUT => 0,
CURLOPT_FOLLOWLOCATION => true,
CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
CURLOPT_CUSTOMREQUEST => 'POST',
CURLOPT_POSTFIELDS => json_encode($payload),
CURLOPT_HTTPHEADER => array(
'Content-Type: application/json'
),
));
$response = curl_exec($curl);
curl_close($curl);
echo $response;
